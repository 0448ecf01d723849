/** A promise of the server that it did not keep; anything else that is thrown is a fault of the verifier's own. */
export class Violation extends Error {}

export function expect(condition, sentence) {
  if (!condition) throw new Violation(sentence);
}
