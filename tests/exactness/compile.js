// Solidity standard JSON through a given build of the compiler: node compile.js SOLJSON INPUT OUTPUT
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const [soljson, input, output] = process.argv.slice(2);
const wrapper = require(require.resolve("solc/wrapper", { paths: [path.join(__dirname, "../..")] }));
const compiler = wrapper(require(path.resolve(soljson)));
// Its runtime turns every uncaught error into an abort with a dump of the whole program.
process.removeAllListeners("uncaughtException");
process.removeAllListeners("unhandledRejection");
fs.writeFileSync(output, compiler.compile(fs.readFileSync(input, "utf8")));
