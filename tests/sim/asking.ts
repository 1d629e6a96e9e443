/** How users ask: a deck that answers, again when no answer came. What it says is judged at the moment when it leaves it. */
import type { DeckApi } from "../../lib/deck/api.ts";
import type { DeckLife } from "./decks.ts";
import type { Dice } from "./dice.ts";
import type { World } from "./world.ts";

const ASK_AGAIN_MS = 4_000;

export interface Repeat {
  /** Whether to repeat what had no answer; most users do, some give up. */
  readonly again: () => boolean;
  readonly answered: () => void;
}

export function ask<T extends { readonly kind: string }>(
  { world, dice }: { readonly world: World; readonly dice: Dice },
  what: string,
  question: (api: DeckApi) => Promise<T>,
  judge: (reply: T, target: DeckLife) => void = () => {},
  repeat?: Repeat,
): void {
  const { schedule, decks, story, weather } = world;
  const target = decks.answering();
  let answered = false;
  if (repeat && (weather.over || dice.chance(0.8))) {
    schedule.after(ASK_AGAIN_MS, () => {
      if (!answered && repeat.again()) ask({ world, dice }, what, question, judge, repeat);
    });
  }
  if (!target?.deck) return story.tell("user", `finds no deck: ${what}`);
  const { life, deck } = target;
  story.tell("user", `asks ${life.name}: ${what}`);
  schedule.after(dice.below(4), () => {
    if (!life.alive) return;
    void question(deck.api).then((reply) => {
      if (!life.touch("reply")) return;
      story.tell(life.name, `answers ${what}: ${reply.kind}`);
      judge(reply, target);
      if (reply.kind === "unavailable") return;
      answered = true;
      repeat?.answered();
    });
  });
}
