/** Shapes, framings and formats of pictures, as options of a select. */

export const SHAPES = [
  { value: "", label: "Unchanged" },
  { value: "1080x1080", label: "Square post, 1080 × 1080" },
  { value: "1080x1350", label: "Portrait post 4:5, 1080 × 1350" },
  { value: "1080x1920", label: "Story 9:16, 1080 × 1920" },
  { value: "1920x1080", label: "Wide 16:9, 1920 × 1080" },
  { value: "medium", label: "Smaller, for the web" },
  ...["9x13", "10x15", "13x18", "15x20", "20x30"].map((paper) => {
    return { value: `print:${paper}`, label: `Print ${paper.replace("x", " × ")} cm, 300 dpi` };
  }),
  ...["a6", "a5", "a4"].map((paper) => {
    return { value: `print:${paper}`, label: `Print ${paper.toUpperCase()}, 300 dpi` };
  }),
];
export const FRAMINGS = [
  { value: "false", label: "The whole photo" },
  { value: "true", label: "Around the people" },
  { value: "faces", label: "A portrait of the faces" },
];
export const FORMATS = [
  { value: "auto", label: "Best for this picture" },
  { value: "jpg", label: "JPEG" },
  { value: "png", label: "PNG, lossless" },
  { value: "webp", label: "WebP" },
  { value: "avif", label: "AVIF, smallest file" },
];

/** Return the recipe changes of a choice; null resets a field. framing and format may be "". */
export function changesOfShape({ shape, framing, format, quality }) {
  return {
    ...(shape === "" ? {} : { size: shape, aspect: null }),
    ...(framing === "" ? {} : framing === "false" ? { crop: null, margin: null } : { crop: framing }),
    ...(format === "" ? {} : { format, quality: format === "png" ? null : quality }),
  };
}
