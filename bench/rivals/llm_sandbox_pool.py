"""The pool of the llm-sandbox package, for `bench.dispatch`: runs in an environment of its own, never imported by us.

Arguments: image, label (``name=value``), containers. Prints ``ready``; then for each line on stdin it runs one task in
a session from the pool, and prints how many milliseconds went by until the first byte of its output.
"""

import sys
import time

from llm_sandbox.pool import PoolConfig, PooledSandboxSession, create_pool_manager

COMMAND = "echo ready"


def main() -> None:
    image, label, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    name, _, value = label.partition("=")
    pool = create_pool_manager(
        config=PoolConfig(min_pool_size=count, max_pool_size=count, enable_prewarming=True),
        lang="python",
        image=image,
        skip_environment_setup=True,
        runtime_configs={"command": ["sleep", "3600"], "labels": {name: value}, "init": True, "tty": False},
    )
    while pool.get_stats()["state_counts"]["idle"] < count:
        time.sleep(0.05)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(one_task(pool), flush=True)
    pool.close()


def one_task(pool) -> float:
    arrived_s = []
    began_s = time.perf_counter()
    with PooledSandboxSession(pool_manager=pool) as session:
        done = session.backend_session.execute_command(
            COMMAND, on_stdout=lambda _: arrived_s.append(time.perf_counter())
        )
    if done.exit_code != 0 or not arrived_s:
        raise SystemExit(f"the task failed: {done}")
    return (arrived_s[0] - began_s) * 1000


if __name__ == "__main__":
    main()
