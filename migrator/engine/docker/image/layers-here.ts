import type { EngineImages, ImageHere } from './engine-images.ts';

/** What the destination's images have of another image's layers. */
export class LayersHere {
  readonly #images: readonly ImageHere[];

  constructor(images: readonly ImageHere[]) {
    this.#images = images;
  }

  static async of(images: EngineImages, signal: AbortSignal): Promise<LayersHere> {
    return new LayersHere(await images.all(signal));
  }

  /**
   * Those that a load has to bring. Docker keeps a layer together with what is below it: it takes one for its own, without
   * looking at the archive, only when it has all below in the same order.
   */
  missing(layers: readonly string[]): string[] {
    const shared = Math.max(0, ...this.#images.map((image) => sharedLength(image.layers, layers)));
    return [...new Set(layers.slice(shared))];
  }

  /** An image that has this layer, on whatever base: it can be read from there. */
  imageWith(layer: string): ImageHere | undefined {
    return this.#images.find((image) => image.layers.includes(layer));
  }
}

function sharedLength(one: readonly string[], other: readonly string[]): number {
  let length = 0;
  while (length < other.length && one[length] === other[length]) length++;
  return length;
}
