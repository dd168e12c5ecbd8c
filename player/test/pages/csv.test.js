import assert from "node:assert/strict";
import { test } from "node:test";

import { rows } from "../../pages/evidence/rows.js";
import { csv, field, fileName } from "../../pages/shared/csv.js";
import { attempt, evidence, session, skip } from "./records.js";

test("lines end as RFC 4180 says, and a spreadsheet can tell that it is UTF-8", () => {
  assert.equal(
    csv([
      ["a", "b"],
      [1, "é"],
    ]),
    "\ufeffa,b\r\n1,é\r\n",
  );
});

test("commas, quotes, line breaks and spaces at the ends are quoted", () => {
  assert.equal(field("a,b"), '"a,b"');
  assert.equal(field('say "so"'), '"say ""so"""');
  assert.equal(field("a\nb"), '"a\nb"');
  assert.equal(field(" a "), '" a "');
});

test("nothing and false are told apart", () => {
  assert.equal(field(null), "");
  assert.equal(field(undefined), "");
  assert.equal(field(false), "false");
  assert.equal(field(0), "0");
});

test("text that a spreadsheet would calculate is kept text", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", '=HYPERLINK("http://x","y")']) {
    assert.match(field(text), /^"?'/, JSON.stringify(text));
  }
  assert.equal(field("ana-maria@example.org"), "ana-maria@example.org");
  assert.equal(field(-1), "-1");
});

test("the evidence is a row for each attempt, session and jump", () => {
  const [columns, ...records] = rows(evidence([attempt({ sessions: [session({ skips: [skip(130, 340, 105)] })] })]));
  const told = records.map((record) => Object.fromEntries(columns.map((name, i) => [name, record[i]])));

  assert.deepEqual(
    told.map(({ record }) => record),
    ["attempt", "session", "skip"],
  );
  assert.ok(records.every((record) => record.length === columns.length));
  assert.equal(told[0].watched, "0 to 130; 340 to 600");
  assert.equal(told[0].shortSecond, 150);
  assert.equal(told[1].wallClockSecond, 400);
  assert.equal(told[2].skippedSecond, 210);
  assert.equal(told[2].inWords, "skipped 02:10–05:40, later watched half of it");
  assert.ok(
    told.every(({ userId, lessonId, attemptNo }) => userId === "ana" && lessonId === "intro" && attemptNo === 1),
  );
});

test("every cell of the evidence is plain", () => {
  for (const row of rows(evidence([attempt({ sessions: [session({ skips: null })] })]))) {
    for (const cell of row)
      assert.ok(
        cell === null || cell === undefined || ["string", "number", "boolean"].includes(typeof cell),
        String(cell),
      );
  }
});

test("a file's name has nothing in it that a file system or shell minds", () => {
  assert.equal(fileName("evidence-../../etc/ana b-intro.csv"), "evidence-..-..-etc-ana-b-intro.csv");
  assert.equal(fileName("..\\x"), "x");
  assert.equal(fileName("žofie.csv"), "žofie.csv");
  assert.equal(fileName("///"), "watchledger.csv");
});
