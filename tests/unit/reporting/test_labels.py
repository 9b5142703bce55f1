from leaq.reporting.labels import place_labels


def test_labels_cover_neither_points_nor_each_other(rng):
    points = [{"x": x, "y": y, "label": f"quantizer {i}"} for i, (x, y) in enumerate(rng.random((25, 2)))]
    named = place_labels(points, ((0, 1), (0, 1)), (500, 400))
    boxes = []
    for point, (align, dx, dy) in named:
        width = 6.3 * len(point["label"])
        left = point["x"] * 500 + dx - {"left": 0, "center": width / 2, "right": width}[align]
        top = 400 - point["y"] * 400 + dy - 7
        boxes.append((left, top, left + width, top + 14))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for point in points:
            x, y = point["x"] * 500, 400 - point["y"] * 400
            assert not (a[0] < x < a[2] and a[1] < y < a[3])


def test_crowded_points_are_left_to_hovering():
    crowd = [{"x": 0.5, "y": 0.5 + i / 1e4, "label": "a long name of a quantizer"} for i in range(40)]
    assert 0 < len(place_labels(crowd, ((0, 1), (0, 1)), (300, 300))) < 40
