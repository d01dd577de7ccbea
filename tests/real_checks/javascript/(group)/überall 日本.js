let größe = 1;
export const text = "stop!";
var again = größe == undefinedThing;
// 1:1  error  This is no error  no-undef
