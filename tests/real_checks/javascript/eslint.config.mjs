// Rules of the core only, and a plugin written here, whose message goes over several lines.
const house = {
  rules: {
    "no-shouting": {
      create: (context) => ({
        Literal(node) {
          if (typeof node.value === "string" && node.value.endsWith("!")) {
            context.report({ node, message: "Do not shout:\n  speak softly,\nas at 3:1" });
          }
        },
      }),
    },
    "first-line": {
      create: (context) => ({
        Program: () => context.report({ loc: { line: 1, column: 0 }, message: "Too old (1 problem, or 2)" }),
      }),
    },
  },
};

export default [
  { ignores: ["generated/", "eslint.config.mjs"] },
  {
    plugins: { "@house/own": house },
    languageOptions: { ecmaVersion: 2024, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "warn" },
    rules: {
      "no-undef": "error",
      "no-unused-vars": "warn",
      "prefer-const": "error",
      eqeqeq: "error",
      "no-console": "warn",
      "max-len": ["error", { code: 100 }],
      "@house/own/no-shouting": "error",
    },
  },
  { files: ["with space/**"], rules: { "@house/own/first-line": "warn" } },
];
