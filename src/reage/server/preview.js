// The coarse preview: blends the pictures of a face at the two ages around the one of the slider, in the browser,
// so that it follows the slider however busy the server is. See PREVIEW_AGES in page.py.
window.reagePreview = (() => {
  let pictures = null; // {source, faces: [[age in years, pixels], ...]}, pixels as Uint8ClampedArray of RGBA

  const read = async (image, side) => {
    await image.decode();
    const canvas = new OffscreenCanvas(side, side);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, side, side);
    return context.getImageData(0, 0, side, side).data;
  };

  const blend = (source, faces, age, strength) => {
    const found = faces.findIndex(([of]) => of >= age);
    const above = Math.max(1, found < 0 ? faces.length - 1 : found);
    const [[lowAge, low], [highAge, high]] = [faces[above - 1], faces[above]];
    const share = Math.min(Math.max((age - lowAge) / (highAge - lowAge), 0), 1);
    const made = new Uint8ClampedArray(source.length);
    for (let at = 0; at < made.length; at++) {
      const aged = low[at] + share * (high[at] - low[at]);
      made[at] = source[at] + strength * (aged - source[at]);
    }
    return made;
  };

  return {
    blend,
    // Shows the face at an age in years, with a share of the change; does nothing before `load`.
    show(age, strength) {
      const canvas = document.querySelector("#preview canvas");
      if (!canvas || !pictures) return;
      const made = blend(pictures.source, pictures.faces, age, strength);
      canvas.getContext("2d").putImageData(new ImageData(made, canvas.width), 0, 0);
      canvas.dataset.shown = `${age} ${strength}`;
    },
    // Reads the pictures that the server has put into the page.
    async load(age, strength) {
      pictures = null;
      const canvas = document.querySelector("#preview canvas");
      if (!canvas) return;
      const images = [...document.querySelectorAll("#preview img")];
      const read_all = await Promise.all(images.map((image) => read(image, canvas.width)));
      const named = images.map((image, at) => [image.dataset.age, read_all[at]]);
      pictures = {
        source: named.find(([name]) => name === "source")[1],
        faces: named.filter(([name]) => name !== "source").map(([name, pixels]) => [Number(name), pixels]),
      };
      this.show(age, strength);
    },
  };
})();
