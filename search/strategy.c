/* Names of strategies. */
#include "search/strategy.h"

#include <stdio.h>
#include <string.h>

/* Appends "<dot><key><value>"; the buffer is large enough for any strategy. */
static void append(char buffer[UAP_STRATEGY_NAME], const char *key, int32_t value)
{
    const size_t used = strlen(buffer);
    (void)snprintf(buffer + used, UAP_STRATEGY_NAME - used, "%s%s%d", used > 0 ? "." : "",
                   key, value);
}

char *uap_strategy_name(const uap_strategy *strategy, char buffer[UAP_STRATEGY_NAME])
{
    buffer[0] = '\0';
    if (strategy->dp > 1) {
        append(buffer, "dp", strategy->dp);
    }
    if (strategy->fsdp > 1) {
        append(buffer, "fsdp", strategy->fsdp);
    }
    if (strategy->tp > 1) {
        append(buffer, "tp", strategy->tp);
    }
    if (strategy->zero > 0) {
        append(buffer, "zero", strategy->zero);
    }
    if (buffer[0] == '\0') {
        (void)snprintf(buffer, UAP_STRATEGY_NAME, "single");
    }
    const size_t used = strlen(buffer);
    (void)snprintf(buffer + used, UAP_STRATEGY_NAME - used, "%s%s",
                   strategy->sp ? "+sp" : "", strategy->recompute ? "+rc" : "");
    return buffer;
}
