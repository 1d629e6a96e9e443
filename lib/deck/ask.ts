/** Questions to the loop, with its refusals as answers. */
import type { Input } from "../core/input.ts";
import type { Unavailable } from "./api.ts";
import type { Loop } from "./loop.ts";
import { StoreUnavailable } from "./loop.ts";

export async function ask<T>(loop: Loop, input: Input): Promise<T | Unavailable> {
  try {
    return await loop.request<T>(input);
  } catch (error) {
    if (error instanceof StoreUnavailable) return { kind: "unavailable", message: error.message };
    throw error;
  }
}
