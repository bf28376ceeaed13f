from reage.data.split import fold_of, split_of

PEOPLE = [f"P{number:06d}" for number in range(4000)]


def test_a_quarter_of_the_people_is_held_out() -> None:
    share = sum(split_of(person) == "val" for person in PEOPLE) / len(PEOPLE)
    assert 0.23 < share < 0.27


def test_the_split_never_changes() -> None:
    sides = [split_of(person) for person in ("A000014", "A000055", "A000069", "A000109")]
    assert sides == ["train", "train", "train", "val"]


def test_nobody_is_on_both_sides() -> None:
    pictures = [(person, split_of(person)) for person in PEOPLE * 3]
    train, val = ({person for person, side in pictures if side == wanted} for wanted in ("train", "val"))
    assert not train & val
    assert train | val == set(PEOPLE)


def test_folds_are_of_one_size_and_each_salt_has_its_own() -> None:
    folds = [fold_of(person, 8, "age") for person in PEOPLE]
    assert set(folds) == set(range(8))
    assert all(400 < folds.count(fold) < 600 for fold in range(8))
    same = sum(fold == fold_of(person, 8, "zones") for fold, person in zip(folds, PEOPLE, strict=True))
    assert 400 < same < 600


def test_folds_do_not_depend_on_the_split() -> None:
    held_out = [fold_of(person, 4, "age") for person in PEOPLE if split_of(person) == "val"]
    assert all(180 < held_out.count(fold) < 320 for fold in range(4))
