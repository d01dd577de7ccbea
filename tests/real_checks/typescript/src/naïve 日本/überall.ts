export const größe: number = "groß — 大";
export const emoji: "🙂" = "🙃";

export function broken(value: unknown) {
  return value.length + value.größe;
}
