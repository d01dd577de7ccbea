export interface Shape {
  name: string;
  corners: number;
  inner: { size: { width: number; height: number } };
}

export type Report = "src/never.ts(1,1): error TS9999: a string, not an error";

export function area(shape: Shape): number {
  return shape.inner.size.width * shape.inner.size.height;
}
