import { area } from "../shapes";

type Read = (path: string, encoding: "utf8" | "latin1") => Promise<string>;

export const read: Read = async (path: string, encoding: number) => path.length + encoding;

export function plain(list: string[]): number {
  const unused = 1;
  return area({ name: list[0], corners: list.length });
}

export class Box extends Missing {
  constructor(readonly size) {
    super();
  }
}
