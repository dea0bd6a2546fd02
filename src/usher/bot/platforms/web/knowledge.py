"""The form of what the bot knows of a web client: a TOML file beside each platform's code, checked when it is read."""

import tomllib
from datetime import date
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from usher.domain.lifecycle import Reason


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Way(_Fact):
    """One way to find a control: by role and name, label, placeholder, text, or selector; exactly one of them.

    Words are matched whole and without regard to case; with `part` they may stand inside of longer text.
    """

    role: str | None = None
    name: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    placeholder: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    css: str | None = None
    part: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> "Way":
        if sum(map(bool, (self.role, self.label, self.placeholder, self.text, self.css))) != 1:
            raise ValueError("a way is one of role, label, placeholder, text and css")
        if bool(self.name) and not self.role:
            raise ValueError("name belongs to role")
        return self


Ways = tuple[Way, ...]


class Sign(_Fact):
    """What shows a state of the page: visible words, or selectors of visible elements.

    Words are compared without regard to case, white space and the form of apostrophes.

    Attributes:
        at_least: How many of `css` have to be there when no word is.
        hosts: The page has gone to one of these hosts, or, where one has a path, to an address below that. `*.` at the
            beginning stands for any number of names before it.
        within: Words count only inside of these, such as a dialog.
        unless: The sign does not hold while one of these is visible, so that what people write cannot feign it.
        smallest: Width and height in pixels that an element of `css` has at least.
    """

    words: tuple[str, ...] = ()
    css: tuple[str, ...] = ()
    at_least: int = 1
    hosts: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    smallest: tuple[int, int] = (0, 0)


class WallSign(Sign):
    """What shows that a person is needed, and which reason that is."""

    reason: Reason


class Obstacle(Sign):
    """Something in front of the page that a guest puts away with one press."""

    press: Ways


class Signs(_Fact):
    """How the page's states are told; asked in this order."""

    removed: Sign = Sign()
    ended: Sign = Sign()
    rejected: Sign = Sign()
    broken: Sign = Sign()
    reconnecting: Sign = Sign()
    lobby: Sign = Sign()
    inside: Sign = Sign()


class NameFrom(_Fact):
    """Where a tile shows its name: text of `css` inside of it, or `attribute` of that element or of the tile.

    Attributes:
        within: Selector of the nearest element around the tile to look inside of, instead of the tile itself.
        pattern: Regular expression of JavaScript, whose first group is the name where the text says more.
    """

    css: str | None = None
    attribute: str | None = None
    pattern: str | None = None
    within: str | None = None


class People(_Fact):
    """How the page shows who is there.

    Attributes:
        tile: Selectors of what stands for one person; the first that is on the page counts.
        person_id: Attribute of the tile with the page's own id of the person.
        name: In order of trust.
        own: Selectors, of the tile or inside of it, that mark the bot itself.
        own_words: Endings of a name that mark the bot itself, such as "(You)"; they are cut off.
        own_label: Where the page shows such words apart from the name; then only there: people choose their names.
        own_names: Whole names by which the page calls the bot itself, such as "You".
        speaks: Selectors, of the tile or inside of it, that show that this person is heard now.
    """

    tile: tuple[str, ...]
    person_id: str | None = None
    name: tuple[NameFrom, ...]
    own: tuple[str, ...] = ()
    own_words: tuple[str, ...] = ()
    own_label: tuple[NameFrom, ...] = ()
    own_names: tuple[str, ...] = ()
    speaks: tuple[str, ...] = ()


class Chat(_Fact):
    """The meeting's chat: how it is opened, read and written.

    Attributes:
        line: Selector of one message; `line_id` is an attribute of it.
        own: Selectors, of the message or around it, that mark what the bot itself wrote.
        most_characters: What the page takes in one message.
    """

    open: Ways
    field: Ways
    send: Ways = ()
    line: str
    line_id: str | None = None
    sender: tuple[NameFrom, ...] = ()
    own: tuple[str, ...] = ()
    text: tuple[NameFrom, ...]
    most_characters: int = 500


class Knowledge(_Fact):
    """Everything the bot knows of one web client.

    Attributes:
        checked: When the facts were last compared with the outside.
        source: Who says so.
        frame: Selector of the frame that the client runs in, where it does.
        silent: Selectors of regions whose words are people's own: they never count as signs. `title` is the page's.
        controls: Ways to each control, by its name in the code, in order of trust.
    """

    checked: date
    source: str
    frame: str | None = None
    silent: tuple[str, ...] = ()
    controls: dict[str, Ways]
    signs: Signs
    walls: tuple[WallSign, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    people: People
    chat: Chat | None = None

    def ways(self, control: str) -> Ways:
        """Return the ways to a control; `chat_open`, `chat_field` and `chat_send` are those of the chat."""
        if self.chat is not None and control in {"chat_open", "chat_field", "chat_send"}:
            ways: Ways = getattr(self.chat, control.removeprefix("chat_"))
            return ways
        return self.controls[control]


@cache
def read_knowledge(file: Path) -> Knowledge:
    """Return what the file says.

    Raises:
        pydantic.ValidationError: It is not of this form.
    """
    return Knowledge.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
