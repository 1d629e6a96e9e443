/** The only door to yaml here, which is CommonJS: a bundle loses its exports when it is imported lazily. */
export { isMap, isScalar, LineCounter, parseDocument } from "yaml";
export type { Document } from "yaml";
