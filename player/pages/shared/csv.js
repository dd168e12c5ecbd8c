// Comma-separated values (RFC 4180) that a spreadsheet opens as what they are, never as formulas.

/** @typedef {string | number | boolean | null | undefined} Cell */

const BYTE_ORDER_MARK = "\ufeff"; // without it Excel takes UTF-8 for something else

/**
 * @param {readonly (readonly Cell[])[]} rows the first has the names of the columns
 * @returns {string}
 */
export function csv(rows) {
  return BYTE_ORDER_MARK + rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/**
 * One cell as text. Text that a spreadsheet would calculate gets an apostrophe in front (OWASP, CSV injection).
 * @param {Cell} cell
 */
export function field(cell) {
  if (typeof cell !== "string") return cell === null || cell === undefined ? "" : String(cell);
  const harmless = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/**
 * Hand a text to the person as a file.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = fileName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * A name that every file system takes.
 * @param {string} name
 */
export function fileName(name) {
  return (
    name
      .replaceAll(/[^\p{L}\p{N}._-]+/gu, "-")
      .replaceAll(/^[.-]+/g, "")
      .slice(0, 120) || "watchledger.csv"
  );
}
