"""Predict with model.onnx: python run_onnx.py photo.jpg another.png. Needs onnxruntime, numpy and Pillow."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).parent


def read(path, info):
    """The pixels of an image in the model's channels; what is transparent lies over white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode[0] in "IF" or image.mode == "LAB":
        raise ValueError(f"its mode is {image.mode}: more than 8 bits, or LAB. Save it as RGB or grey of 8 bits")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if info["in_channels"] == 1 else "RGB")


def content_size(height, width, resize):
    """Height and width after resizing."""
    (rows, columns), mode = resize["image_size"], resize["mode"]
    if mode == "letterbox":
        scale = min(rows / height, columns / width)
        return max(1, min(rows, round(height * scale))), max(1, min(columns, round(width * scale)))
    if mode == "resize_pad":
        scale, longest = min(rows, columns) / min(height, width), resize["max_size"]
        scale = scale if longest is None else min(scale, longest / max(height, width))
        limit = longest or round(max(height, width) * scale)
        return max(1, min(limit, round(height * scale))), max(1, min(limit, round(width * scale)))
    if mode == "resize_crop":
        ratio = resize["crop_ratio"]
        scale = max(round(rows / ratio) / height, round(columns / ratio) / width)
        return max(rows, int(height * scale + 1e-6)), max(columns, int(width * scale + 1e-6))
    if mode == "pad":
        base = resize["native"] or (height, width)
        factor = min(rows // base[0], columns // base[1])
        factor = factor if factor >= 1 else min(rows / base[0], columns / base[1])
        frame = min(rows, round(base[0] * factor)), min(columns, round(base[1] * factor))
        scale = min(frame[0] / height, frame[1] / width)
        return max(1, min(rows, round(height * scale))), max(1, min(columns, round(width * scale)))
    return rows, columns


def prepare(image, info):
    """The image as the model takes it, (1, C, H, W) uint8, and its height and width without padding."""
    resize, (rows, columns) = info["resize"], info["resize"]["image_size"]
    height, width = content_size(image.height, image.width, resize)
    if resize["mode"] == "resize_pad":
        rows, columns = -(-height // 32) * 32, -(-width // 32) * 32
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)
    if resize["mode"] == "resize_crop":
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        pixels = pixels[top : top + rows, left : left + columns]
    batch = np.zeros((rows, columns, pixels.shape[2]), np.uint8)
    top, left = ((rows - height) // 2, (columns - width) // 2) if resize["mode"] == "pad" else (0, 0)
    batch[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    size = pixels.shape[:2] if resize["mode"] in ("letterbox", "resize_pad") else (rows, columns)
    return batch.transpose(2, 0, 1)[None], size


def weights(start, end, cells, length):
    """What each cell of a mask, which spans start to end, gives to each pixel of an axis: (length, cells)."""
    position = (np.arange(length) + 0.5 - start) / (end - start) * cells - 0.5
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))).astype(np.float32)


def paste(mask_logits, box, height, width):
    """The pixels of an object in the size of the image, (height, width) bool."""
    left, top, right, bottom = (float(side) for side in box)
    cells = len(mask_logits)
    rows, columns = weights(top, bottom, cells, height), weights(left, right, cells, width)
    return rows @ (1 / (1 + np.exp(-mask_logits))) @ columns.T >= 0.5


def predict(path, session, info):
    """What the model says of an image: class and probabilities, objects, or the class of each pixel."""
    image = read(path, info)
    images, (height, width) = prepare(image, info)
    inputs = {"images": images, "image_sizes": np.array([[height, width]])}
    taken = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(names, {k: v for k, v in inputs.items() if k in taken}), strict=True))
    if "boxes" in found:
        present = found["labels"][0] >= 0
        scale = np.array([image.width / width, image.height / height] * 2, np.float32)
        names = [name for name in ("boxes", "scores", "labels", "mask_logits") if name in found]
        objects = {name: found[name][0][present] for name in names}  # a mask, in the frame of its box, is for `paste`
        return {**objects, "boxes": objects["boxes"] * scale, "size": (image.height, image.width)}
    if "mask" in found:
        logits = found["logits"][0, :, :height, :width]
        resized = [np.asarray(Image.fromarray(c).resize(image.size, Image.Resampling.BILINEAR)) for c in logits]
        return {"mask": np.argmax(resized, axis=0).astype(np.uint8)}
    return {"probabilities": found["probabilities"][0]}


def main():
    """Print the predictions of the images that are named; the exit code is 1 if one cannot be read."""
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    info = json.loads(session.get_modelmeta().custom_metadata_map["visionkit"])  # as in classes.json
    names = info["class_names"]
    failed = len(sys.argv) < 2
    if failed:
        print(__doc__, file=sys.stderr)
    for path in sys.argv[1:]:
        try:
            result = predict(path, session, info)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            print(f"{path} cannot be read: {error}", file=sys.stderr)
            failed = True
            continue
        if "probabilities" in result:
            best = np.argsort(-result["probabilities"])[:5]
            print(path, ", ".join(f"{names[k]} {result['probabilities'][k]:.1%}" for k in best))
        elif "boxes" in result:
            for i in np.flatnonzero(result["scores"] >= info["min_score"]):
                box = result["boxes"][i]
                print(path, names[result["labels"][i]], f"{result['scores'][i]:.1%}", *np.round(box, 1), end="")
                masks = result.get("mask_logits")
                print("" if masks is None else f" {paste(masks[i], box, *result['size']).sum()} pixels")
        else:
            counts = np.bincount(result["mask"].ravel(), minlength=len(names))
            print(path, ", ".join(f"{n} {c / counts.sum():.1%}" for n, c in zip(names, counts, strict=True) if c))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
