// What stage 1 trains, one modality at a time: the networks its configuration names for its data, the
// likelihood they are trained with, and the encoding of whole splits.
#pragma once

#include <functional>

#include "data/store/store.h"
#include "mld/config/config.h"
#include "mld/modality/augment.h"
#include "mld/modality/item_feed.h"
#include "mld/modality/networks/networks.h"

namespace mld {

Autoencoder make_autoencoder(const ModalityConfig& config, const data::Modality& info, int heads = 1);
// Of the classes of these data; where they are combinations of attributes, the sum of scores of each (nn::Combinations).
Classifier make_classifier(const ModalityConfig& config, const data::Modality& info,
                           const data::Description& labels);

// Changes how the weights of a network (not its biases and norms) start; before it is packed.
void apply_init(WeightInit init, const nn::Visitor& walked);

// What these rows add to the mean over a batch of `total` of -log p(x | output), summed over a sample's elements, in
// the units that the network works in, without constants that have no gradient (docs/method.md section 2); `output` is
// what the decoder made and x what it should be; `rows` [B,1]: what each counts, undefined: 1. Shape [1].
Var decoded_loss(const ModalityConfig& config, const Var& output, const Tensor& x, std::int64_t total,
                 const Tensor& rows = {});
// The same of what the autoencoder makes of the batch.
Var reconstruction_loss(const ModalityConfig& config, const Autoencoder& net, const Tensor& x,
                        std::int64_t total, const nn::Context& context);

// Encodings of all items of a split, [items, latent] on the cpu, not standardised; in inference mode.
// `device` is the network's.
Tensor encode_items(const Autoencoder& net, const data::Split& split, int modality,
                    const data::Modality& info, Device device);
// The same of the items as augmented: change number 1, 2, ... of each.
Tensor encode_augmented(const Autoencoder& net, const data::Split& split, int modality,
                        const data::Modality& info, Device device, const Augmentation& by, std::uint64_t seed,
                        std::uint32_t number);

// Of each row of scores [N,K] the class with the highest.
std::vector<std::int32_t> most_likely(const Tensor& scores);

// Whether decoded values, on the cpu, are numbers: argmax gives -1 where there is none to choose.
bool all_finite(const Tensor& decoded);

// f on chunks of x, each moved to the device that f's networks are on, results on the cpu.
Tensor map_on_device(const Tensor& x, Device device, const std::function<Tensor(const Tensor&)>& f);

// Applies f to row chunks of x and stacks the results: inference with bounded memory.
Tensor map_rows(const Tensor& x, std::int64_t chunk, const std::function<Tensor(const Tensor&)>& f);

}  // namespace mld
