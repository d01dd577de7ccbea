let count = 1;
if (count == total) console.log("equal");
export const slug = unknownThing(count);
