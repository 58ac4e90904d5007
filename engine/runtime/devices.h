// Which device a program computes on.
#pragma once

#include <string>

#include "engine/base/device.h"

namespace mld {

// "cpu"; "cuda" or "cuda:1"; "sim" (tests); "auto": the first GPU, or the cpu where there is none.
// ErrorKind::usage for another name, ErrorKind::device with the reason for a cuda device that is not there.
Device choose_device(const std::string& name);

// Why a cuda device cannot be had, one sentence; empty if there is one.
std::string why_no_cuda();

}  // namespace mld
