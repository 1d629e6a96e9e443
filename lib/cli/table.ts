/**
 * The only door to cli-table3 and to its measure of a text's width, which are CommonJS: a bundle loses their default exports
 * when they are imported lazily.
 */
export { default as Table } from "cli-table3";
export { default as textWidth } from "string-width";
