/* What DPF has no words for. `gramophone bridge install` adds the calls to its own copy of DPF before it builds (offline/commands/dpf.py).
   `plugin` is what DPF calls the instance pointer. */
#pragma once

#include <cstdint>
#include <string>

/* Whether the host bounces. */
void gramophoneSetOffline(void* plugin, bool offline);

/* A parameter's value as text; empty: as DPF writes numbers. */
std::string gramophoneText(void* plugin, uint32_t index, double value);

/* The number that stands for a URI, the same for one URI, from 1 on. */
uint32_t gramophoneNumber(const char* uri);
