/* The plug-in's exchange of blocks as a library for a simulation, in which the host and the engine do one thing at a time. One channel. */
#include "block_exchange.hpp"

using gramophone::Block;
using gramophone::BlockExchange;

extern "C" {

BlockExchange* exchange_new() { return new BlockExchange(1); }

void exchange_delete(BlockExchange* exchange) { delete exchange; }

/* The host plays a block: it is sent, and what is due `ahead` samples later replaces it. Returns the latency stated of it, or why there is
   none (kSilent, kLost). */
int64_t exchange_play(BlockExchange* exchange, float* sound, uint32_t frames, uint64_t ahead)
{
    static Block due;
    const float* const in[] {sound, sound};
    exchange->send(in, frames);
    exchange->collect();
    const int64_t delay = exchange->read(due, frames, ahead);
    std::copy_n(due[0], frames, sound);
    return delay;
}

/* The engine answers a block of `frames` with its sound as it is. */
bool exchange_answer(BlockExchange* exchange, int64_t number, uint32_t frames)
{
    static Block block;
    const float* const out[] {block[0], block[0]};
    if (exchange->input.read(number, frames, block) < 0)
        return false;
    exchange->output.write(number, out, frames);
    return true;
}
}
