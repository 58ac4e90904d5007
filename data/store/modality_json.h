// The keys that dataset.json and the spec of `import_npy` share. Private to the data room.
#pragma once

#include "data/store/description.h"
#include "data/store/json_fields.h"

namespace mld::data {

ModalityKind parse_kind(JsonFields& fields);  // key "kind"

// Reads the keys that m.kind allows besides name, kind, shape and dtype into m. Returns whether there was a
// range, which is an error to leave out if `range_required` and the kind is real-valued.
bool parse_kind_keys(JsonFields& fields, Modality& m, bool range_required);

std::vector<Attribute> parse_attributes(JsonFields& fields);  // optional key "attributes"

// What dataset.json says of a modality, and under "attributes" and "splits".
Json modality_json(const Modality& modality);
Json attributes_json(const Description& description);
Json splits_json(const Description& description);

}  // namespace mld::data
