/** The only door to yaml here, which is CommonJS: a bundle loses its exports when it is imported lazily. */
export { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, Scalar } from "yaml";
export type { Document } from "yaml";
