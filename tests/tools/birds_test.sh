#!/usr/bin/env bash
# The embedded data set with words on the command line: pictures and captions through training, sampling by a sentence,
# evaluation by attribute, comparison and report.
# usage: birds_test.sh MLDCTL
. "$(dirname "$0")/helpers.sh"

works data make birds --out birds --train 60 --test 20
works train --preset birds --data birds --out run --steps 6
check "no classifier of captions is trained" [ ! -e run/classifier.caption.safetensors ]
works eval run --samples 40 --metrics coherence,quality,reconstruction
check "attributes are in the table" grep -q 'Attributes that are right, %: mean, colour, size, beak, bars, pose' out
# What no network has read: the real captions say all five, and the parser knows what they say.
check "the parser reads every real caption" \
  grep -qE '^ *real -> caption +100.00 % +100.00 100.00 100.00 100.00 100.00' out
check "a picture is made from a caption" grep -qE '^ *caption -> image ' out
check "the reconstruction is measured" grep -qE '^ *caption .*of the words' out
for key in attribute_agreement joint_attributes reconstruction; do
  check "evaluation.json has $key" grep -q "\"$key\"" run/evaluation.json
done
works compare --paper run
check "a table of attributes" grep -q 'attributes that are right, mean (%)' out
check "Table 16 stands beside" grep -q 'CLIP-S' out

sentence="this is a small red bird with a hooked beak and plain wings, perched in a tree"
works sample run -n 2 --given "caption=$sentence" --out given
check "the picture is there" [ -s given/image.npy ]
works sample run -n 1 --given "caption=a red velociraptor" --out unknown
check "a word that is not known is named" grep -q 'caption: words that are not known: velociraptor' err
mv run/vocabulary.caption.txt words.txt
works sample run -n 1 --out numbers
check "words that are missing are told" grep -q "run: the words of 'caption' are not there" err
check "tokens stay numbers" [ ! -e numbers/caption.txt ]
mv words.txt run/vocabulary.caption.txt
works sample run -n 3 --out joint
check "three captions as text" [ "$(wc -l <joint/caption.txt)" = 3 ]
works report run --samples 4
check "captions stand in the report" grep -q 'bird' run/report.html

# A VAE has the same judges, and an exported file knows the words and the attributes.
works train --preset birds --data birds --out vae --reuse run --set model.kind=mvtcae --steps 6
works eval vae --samples 20
check "attributes of a VAE" grep -qE '^ *image -> caption ' out
works export run model.safetensors
works sample model.safetensors -n 2 --out exported
check "the exported file has the words" [ -s exported/caption.txt ]

summary
