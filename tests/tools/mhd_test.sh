#!/usr/bin/env bash
# tools/convert_mhd.py and mldctl import MHD's files: made here in their layout, and damaged in many ways.
#   mhd_test.sh MLDCTL REPOSITORY
repository=$(realpath "$2")
. "$repository/tests/tools/helpers.sh" "$1"
command -v python3 > /dev/null || { echo "mhd_test: skipped, there is no python3"; exit 77; }

python3 "$repository/tests/tools/make_mhd.py" . || { echo "mhd_test: make_mhd.py failed"; exit 1; }
convert() {
  rm -rf arrays
  said="convert_mhd.py $*"
  python3 "$repository/tools/convert_mhd.py" "$@" --out arrays >out 2>err
  code=$?
}
# refused FILE WORDS: as the test file it is refused with these words, and its name.
refused() {
  convert train.pt "$1"
  check "$said ends with code 1, not $code" [ "$code" -eq 1 ]
  check "$said says '$2'" grep -qF -- "$2" err
  check "$said names the file" grep -qF "$1" err
}

convert train.pt test.pt
check "$said" [ "$code" -eq 0 ]
run data import npy arrays --out store
check "$said" [ "$code" -eq 0 ]
run data info store --validate
for line in 'image: image \[28,28,1\] f32' 'standing for -200 to -47.5, 16000 Hz' 'trajectory: vector \[200\] f32, values 0 to 1$' \
  'train: 40 samples' 'test: 12 samples'; do
  check "the store has '$line'" grep -q "$line" out
done
# Sound: frame f, mel band b of item i is (b + 128 f + i) / 5000.
python3 - <<'END'
import array, sys
data = open("store/train/sound.npy", "rb").read()
values = array.array("f"); values.frombytes(data[-40 * 4096 * 4:])
wrong = sum(abs(values[i * 4096 + f * 128 + b] - (b + 128 * f + i) / 5000) > 1e-6
            for i in (0, 39) for f in range(32) for b in range(128))
sys.exit(wrong != 0)
END
check "sounds are frames x mel bands" [ $? -eq 0 ]

convert train.pt test.pt
python3 "$repository/tools/convert_mhd.py" train.pt test.pt --out arrays >out 2>err
check "a folder with something in it is refused" grep -q "arrays is not empty" err
refused absent.pt "No such file"
refused short.pt "is truncated: storage 0"
refused evil.pt "mkdir"
check "nothing of a file is executed" [ ! -e executed ]
refused half.pt "HalfStorage"
refused view.pt "a view of another"
refused large.pt "larger than its storage"
refused shape.pt "sounds: expected a tensor [12, 4, 32, 32], found [12, 1, 128, 32]"
refused labels.pt "labels: expected integers"
refused ends.pt "from -47.5 to -200.0"
refused missing.pt "expected numbers 'max' and 'min'"
refused five.pt "expected labels, images, trajectories, sounds and two scalings"
refused text.pt "no file of PyTorch 1.6 or later"
refused cut.pt "no file of PyTorch 1.6 or later"
refused zip.pt "none that torch.save wrote"
refused pickle.pt "is corrupt"
convert train.pt other.pt
check "two releases are told apart" grep -q "scaled differently" err
summary
