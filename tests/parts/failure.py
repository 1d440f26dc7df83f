"""A refusal of the scripted vendor's, in OpenAI's envelope."""


class Failure(Exception):
    def __init__(self, status, message="scripted", code=None, kind="invalid_request_error"):
        super().__init__(message)
        self.status, self.body = status, {"error": {"message": message, "type": kind, "param": None, "code": code}}
