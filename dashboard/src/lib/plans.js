// A plan that a person hands in: JSON, maybe with text around it as tools print it.

// The plan as an object. Throws a SyntaxError with a sentence.
export function planOf(text) {
  const trimmed = text.replace(/^\ufeff/, "").trim();
  if (!trimmed) throw new SyntaxError("There is no plan yet.");
  const [first, last] = [trimmed.indexOf("{"), trimmed.lastIndexOf("}")];
  if (first < 0 || last < first) throw new SyntaxError("A plan is a JSON object; there is none in this text.");
  let plan;
  try {
    plan = JSON.parse(trimmed.slice(first, last + 1));
  } catch (error) {
    throw new SyntaxError(`This is no JSON: ${error.message}`);
  }
  if (plan.waves === undefined) throw new SyntaxError("This object has no waves, so it is no plan.");
  return plan;
}

// How much a plan holds, for a look before it starts.
export function sizeOf(plan) {
  const waves = Array.isArray(plan.waves) ? plan.waves : (plan.waves?.waves ?? []);
  return { waves: waves.length, batches: waves.reduce((sum, wave) => sum + (wave?.batches?.length ?? 0), 0) };
}
