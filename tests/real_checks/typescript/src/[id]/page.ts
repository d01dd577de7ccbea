import { area, type Report, type Shape } from "../shapes";
import { absent } from "../shapes";
import { nothing } from "./not-there";

// src/never.ts(2,2): error TS9999: a comment, not an error
const square: Shape = {
  name: "square",
  corners: "four",
  inner: { size: { width: 1, height: "tall" } },
};
const report: Report = "something else";

export const result: string = area(square, 2);
