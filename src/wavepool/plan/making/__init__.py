"""From what a check found to a plan: where its errors are (`findings`, `placing`, held against the tools' own count by
`toolcounts`), what becomes of them (`planned` batches, by `assigning`, with `prompts` and `filewords`), and the plan as
text (`writing`).

Between these steps are others: `plan.diagnostics` reads what tools write, `plan.grouping` says which files belong
together, `plan.packing` makes waves of batches.
"""
