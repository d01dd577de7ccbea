"""The shapes of what is shown: JSON objects, the same for the page, REST, WebSocket and report.

A member that has nothing to say is left out, never null: changes travel as JSON Merge Patch (RFC 7396), where null
takes a member away. For the same reason what has an identity is in an object by its id, never in a list. Times are
ISO 8601 in UTC with milliseconds, names end in their unit: ``_s`` seconds, ``_bytes``, ``_usd``, ``_percent`` (CPU: of
one core). Values of environment variables, prompts and secrets are in none of them.
"""
