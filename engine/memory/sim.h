// The sim device: host memory that behaves like a GPU. Work queues on one FIFO stream and runs at a
// synchronisation; freed blocks are filled with NaN in stream order; a capture keeps the queue and a replay
// reruns it with the addresses and by-value arguments it was recorded with.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace mld::sim {

using Queue = std::vector<std::function<void()>>;

void enqueue(std::function<void()> work);
void run_queue();  // runs and drops everything queued; throws during a capture
bool queue_empty();
void begin_capture();  // from here on work is recorded and not run
Queue end_capture();   // returns what was recorded
bool capturing();
void replay(const Queue& recorded);           // queues the recorded work again
void poison(void* block, std::size_t bytes);  // queues a fill with NaN bytes

}  // namespace mld::sim
