"""What a client raises."""


class ApiError(Exception):
    """The API refused, or could not be reached.

    Attributes:
        status: HTTP status; 0 if no answer came.
        code: Stable word of the problem.
        detail: What is wrong and what to do.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
