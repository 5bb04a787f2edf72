/**
 * Reads source text well enough for `__test__/tidy.spec.ts`, without a parser: TypeScript 7 has no API to borrow one from.
 *
 * `maskTypeScript` and `maskRust` replace what is inside comments, strings, characters and regular expressions by
 * spaces and keep every line break, so that rules may match words and count braces without being fooled, and so that
 * positions stay those of the file. `functionsOf` then finds function bodies by their opening brace.
 *
 * It errs on one side: a body that it does not recognise is not measured.
 */

export interface FunctionSpan {
  name: string;
  /** 1-based, of the line that holds the name or the opening brace. */
  line: number;
  lines: number;
}

/** One `import` or `export … from` of a TypeScript module. */
export interface ImportLine {
  specifier: string;
  /** `import type` and `export type`: erased, so it orders nothing at run time. */
  typeOnly: boolean;
}

/** Collects the masked text: what is kept as it is, what is blanked. */
class Mask {
  private readonly parts: string[] = [];
  private from = 0;

  constructor(private readonly text: string) {}

  /** Keeps everything up to `start`, and blanks from there to `end`. */
  blank(start: number, end: number): void {
    this.parts.push(this.text.slice(this.from, start), this.text.slice(start, end).replace(/[^\n]/g, " "));
    this.from = end;
  }

  finish(): string {
    this.parts.push(this.text.slice(this.from));
    return this.parts.join("");
  }
}

/** The index after a quoted run that starts at `at`, with backslash escapes. */
function endOfQuoted(text: string, at: number, quote: string): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === quote) return i + 1;
    else if (text[i] === "\n" && quote !== '"' && quote !== "`") return i;
  }
  return text.length;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/** The index after a block comment; Rust's nest. */
function endOfBlockComment(text: string, at: number, nested: boolean): number {
  let depth = 1;
  for (let i = at + 2; i < text.length; i++) {
    if (text.startsWith("*/", i)) {
      depth -= 1;
      i += 1;
      if (depth === 0) return i + 1;
    } else if (nested && text.startsWith("/*", i)) {
      depth += 1;
      i += 1;
    }
  }
  return text.length;
}

/** Whether a slash after `before` starts a regular expression, where an operand would stand. */
function startsRegExp(before: string): boolean {
  const trimmed = before.trimEnd();
  if (trimmed === "") return true;
  if (/[=([{,;:!&|?+\-*%<>~^]$/.test(trimmed)) return true;
  return /\b(return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)$/.test(trimmed);
}

function endOfRegExp(text: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\n") return at + 1;
    if (char === "\\") i++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return i + 1;
  }
  return at + 1;
}

/** The text with comments, strings and regular expressions blanked; code inside `${…}` stays. */
export function maskTypeScript(text: string): string {
  const mask = new Mask(text);
  /** For each open template literal, the brace depth inside its current `${`. */
  const templates: number[] = [];
  let i = 0;

  /** Blanks template text from `start`; stops after the closing quote or at the next `${`. */
  const template = (start: number): number => {
    let end = start;
    while (end < text.length && text[end] !== "`" && !text.startsWith("${", end)) end += text[end] === "\\" ? 2 : 1;
    if (text[end] === "`") {
      mask.blank(start, end);
      return end + 1;
    }
    mask.blank(start, Math.min(end, text.length));
    templates.push(0);
    return end + 2;
  };

  while (i < text.length) {
    const char = text[i];
    let end = -1;
    if (text.startsWith("//", i) || (i === 0 && text.startsWith("#!"))) end = endOfLine(text, i);
    else if (text.startsWith("/*", i)) end = endOfBlockComment(text, i, false);
    else if (char === '"' || char === "'") end = endOfQuoted(text, i, char);
    else if (char === "/" && startsRegExp(text.slice(Math.max(0, i - 40), i))) end = endOfRegExp(text, i);
    if (end >= 0) {
      mask.blank(i, end);
      i = end;
      continue;
    }
    if (char === "`") {
      i = template(i + 1);
      continue;
    }
    if (templates.length > 0) {
      if (char === "{") templates[templates.length - 1] += 1;
      if (char === "}") {
        if (templates.at(-1) === 0) {
          templates.pop();
          i = template(i + 1);
          continue;
        }
        templates[templates.length - 1] -= 1;
      }
    }
    i += 1;
  }
  return mask.finish();
}

/** The text with comments, strings and characters blanked; lifetimes stay. */
export function maskRust(text: string): string {
  const mask = new Mask(text);
  let i = 0;
  while (i < text.length) {
    let end = -1;
    const rest = text.slice(i, i + 24);
    const raw = /^b?r(#*)"/.exec(rest);
    const afterWord = i > 0 && /\w/.test(text[i - 1]);
    if (rest.startsWith("//")) end = endOfLine(text, i);
    else if (rest.startsWith("/*")) end = endOfBlockComment(text, i, true);
    else if (raw && !afterWord) {
      const close = text.indexOf(`"${raw[1]}`, i + raw[0].length);
      end = close < 0 ? text.length : close + 1 + raw[1].length;
    } else if (rest[0] === '"') end = endOfQuoted(text, i, '"');
    else if (rest[0] === "'") {
      const char = /^'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^\\'\n])'/u.exec(rest);
      if (char) end = i + char[0].length;
    }
    if (end >= 0) {
      mask.blank(i, end);
      i = end;
    } else {
      i += 1;
    }
  }
  return mask.finish();
}

/** Index of the brace or parenthesis that closes the one at `open`; -1 when none does. */
function closing(masked: string, open: number): number {
  const pair = masked[open] === "{" ? "{}" : "()";
  let depth = 0;
  for (let i = open; i < masked.length; i++) {
    if (masked[i] === pair[0]) depth += 1;
    else if (masked[i] === pair[1]) {
      depth -= 1;
      if (depth === 0) return i;
    }
  }
  return -1;
}

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length;

function span(masked: string, name: string, start: number, open: number): FunctionSpan | undefined {
  const close = closing(masked, open);
  if (close < 0) return undefined;
  return { name, line: lineOf(masked, start), lines: masked.slice(start, close).split("\n").length };
}

/** The functions of a masked Rust file. */
function rustFunctions(masked: string): FunctionSpan[] {
  const found: FunctionSpan[] = [];
  for (const match of masked.matchAll(/\bfn\s+(\w+)/g)) {
    // The body opens at the first brace outside parentheses and brackets; a semicolon first means there is none.
    let depth = 0;
    for (let i = match.index; i < masked.length; i++) {
      const char = masked[i];
      if (char === "(" || char === "[") depth += 1;
      else if (char === ")" || char === "]") depth -= 1;
      else if (depth === 0 && char === ";") break;
      else if (depth === 0 && char === "{") {
        const body = span(masked, match[1], match.index, i);
        if (body) found.push(body);
        break;
      }
    }
  }
  return found;
}

const NOT_A_METHOD = new Set([
  "if",
  "for",
  "while",
  "switch",
  "catch",
  "with",
  "return",
  "function",
  "await",
  "constructor",
]);

/** The functions, methods and arrow functions with a body of a masked TypeScript file. */
function typeScriptFunctions(masked: string): FunctionSpan[] {
  const found: FunctionSpan[] = [];
  const add = (name: string, start: number, open: number) => {
    const body = span(masked, name, start, open);
    if (body) found.push(body);
  };
  for (const match of masked.matchAll(/=>\s*\{/g))
    add("arrow function", match.index, match.index + match[0].length - 1);
  // Declarations and methods: a name, optional type parameters, parameters, an optional return type, a brace.
  for (const match of masked.matchAll(/(?:\bfunction\b\s*\*?\s*)?(\[[\w.]+\]|[\w$#]*)\s*(?:<[^();]{0,300}?>)?\(/g)) {
    const [head, name] = match;
    const isFunction = head.startsWith("function");
    if (!isFunction && (name === "" || (NOT_A_METHOD.has(name) && name !== "constructor"))) continue;
    const end = closing(masked, match.index + head.length - 1);
    if (end < 0) continue;
    const after = /^\s*(?::\s*(?:[\w$.[\]<>|&,\s?"'()]|=>|\{[^{}]*\}(?=[\s[\]>|&]))+?)?\s*\{/.exec(
      masked.slice(end + 1, end + 600),
    );
    if (after) add(name || "function", match.index, end + after[0].length);
  }
  return found;
}

/** The functions of a masked file, as far as they can be recognised. */
export function functionsOf(masked: string, language: "rust" | "typescript"): FunctionSpan[] {
  return language === "rust" ? rustFunctions(masked) : typeScriptFunctions(masked);
}

/** What a TypeScript module imports and re-exports; `text` is the file, `masked` its masked form. */
export function importsOf(text: string, masked: string): ImportLine[] {
  const found: ImportLine[] = [];
  const read = (at: number) => /^\s*["']([^"'\n]*)["']/.exec(text.slice(at))?.[1];
  for (const match of masked.matchAll(/\b(?:import|export)\b([^;=()]*?)\bfrom\b/g)) {
    const specifier = read(match.index + match[0].length);
    if (specifier) found.push({ specifier, typeOnly: /^\s*type\b(?!\s*,|\s*from)/.test(match[1]) });
  }
  for (const match of masked.matchAll(/\bimport\b(?:\s*\()?/g)) {
    const specifier = read(match.index + match[0].length);
    if (specifier) found.push({ specifier, typeOnly: false });
  }
  return found;
}
