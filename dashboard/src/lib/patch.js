// RFC 7396, JSON Merge Patch: null takes a member away, objects are merged, all else is put in its place.
// What has changed is a new object, what has not is the same one: so that a view sees at once what to draw anew.

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export function merge(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = merge(merged[name], value);
  }
  return merged;
}

// The same for an object of many things by id, in place: its cost is that of the changes. Returns the ids that changed.
export function mergeEntries(entries, patch) {
  for (const [id, value] of Object.entries(patch)) {
    if (value === null) delete entries[id];
    else entries[id] = merge(entries[id], value);
  }
  return Object.keys(patch);
}
