"""A model that does what it is told: a small server that speaks Anthropic's Messages API, by a script.

script.py    the script: which conversation gets which answers
messages.py  an answer as the API writes it, whole or as a stream of events
server.py    the server itself

``python -m wavepool.testing.model_server SCRIPT.json`` runs it by hand. Only the standard library is needed.
"""

from wavepool.testing.model_server.script import Answer, BadScript, Failure, Rule, Script, ToolUse, read_script
from wavepool.testing.model_server.server import ModelServer, Received

__all__ = ["Answer", "BadScript", "Failure", "ModelServer", "Received", "Rule", "Script", "ToolUse", "read_script"]
