// WCAG 2.2, 1.4.3 and 1.4.11: every text of the page has 4.5:1 on whatever it is put on, lines that mean something 3:1.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../src/styles/tokens.css", import.meta.url), "utf8");

function tokensOf(theme) {
  const block = css.match(new RegExp(`:root\\[data-theme="${theme}"\\] \\{([^}]*)\\}`))[1];
  return Object.fromEntries([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));
}

function luminance(colour) {
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

for (const theme of ["light", "dark"]) {
  const token = tokensOf(theme);
  const enough = (front, back, least) => {
    const got = contrast(token[front], token[back]);
    assert.ok(got >= least, `${theme}: ${front} on ${back} has ${got.toFixed(2)}:1, wants ${least}:1`);
  };

  test(`texts are readable on every ground (${theme})`, () => {
    for (const front of ["text", "soft", "accent", "ok", "bad", "warn", "mem", "odd", "off"]) {
      for (const back of ["bg", "surface", "raised", "hover"]) enough(front, back, 4.5);
    }
  });

  test(`each tone is readable on its tint, and words are (${theme})`, () => {
    for (const tone of ["accent", "ok", "bad", "warn", "mem", "odd", "off"]) {
      enough(tone, `${tone}-tint`, 4.5);
      enough("text", `${tone}-tint`, 4.5);
    }
    enough("on-accent", "accent", 4.5);
    enough("on-bad", "bad", 4.5);
    enough("text", "mark", 4.5);
    for (const back of ["bg", "surface", "raised"]) enough("line-strong", back, 3);
  });
}
