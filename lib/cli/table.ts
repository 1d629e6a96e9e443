/** The only door to cli-table3, which is CommonJS: a bundle loses its default export when it is imported lazily. */
export { default as Table } from "cli-table3";
