"""The demo: two people talk in a room, a bot listens, and what it heard is compared with what was said."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from usher.client import Usher
from usher.demo.conversation import Conversation, load_conversation
from usher.demo.participants import Participant, TalkTimes
from usher.demo.scoring import Said, Score, score
from usher.domain.lifecycle import TERMINAL, State
from usher.protocol.live import LiveSegment, StatusFrame, TranscriptFrame
from usher.protocol.rest import EventList, MeetingBody, Transcript
