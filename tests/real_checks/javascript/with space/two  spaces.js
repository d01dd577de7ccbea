// eslint-disable-next-line no-undef
export const value = 1;
export const long = "a line that is much longer than what the rule of this project allows, for the sake of it, and more";
