/* Victim selection. Beyond the node half of the ranks asked are drawn with a probability
 * that falls as 1 / distance in rank number, which launchers hand out along the network,
 * and half uniformly: the first keep traffic short (Perarnau and Sato, "Victim selection and
 * distributed work stealing performance", IPDPS 2014), the second spread work when all of it
 * sits in one corner. */
#include "mpi/victim.h"

#define NEAR_TRIES 2 /* random ranks of the own node before one looks further */

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): any state is a good one. */
static uint64_t next_random(uap_victims *victims)
{
    uint64_t z = (victims->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* In [0, n). The bias of the multiplication is below n / 2^32. */
static int random_below(uap_victims *victims, int n)
{
    return (int)(((next_random(victims) >> 32) * (uint64_t)n) >> 32);
}

static int log2_floor(int n)
{
    int k = 0;
    while (n > 1) {
        n >>= 1;
        k++;
    }
    return k;
}

void uap_victims_init(uap_victims *victims, const uap_transport *net, uint64_t seed)
{
    const int far_tries = net->n_near < net->size ? 2 + log2_floor(net->size) : 0;
    int near_tries = net->n_near - 1;
    if (far_tries > 0 && near_tries > NEAR_TRIES) {
        near_tries = NEAR_TRIES;
    }
    *victims = (uap_victims){.net = net,
                             .state = seed,
                             .last_giver = -1,
                             .round = near_tries + far_tries,
                             .near_tries = near_tries};
    /* Unrelated streams for neighbouring ranks. */
    victims->state = next_random(victims) + (uint64_t)net->rank * 0xd1342543de82ef95u;
    (void)next_random(victims);
}

/* One of the n - 1 others of [0, n): `own` is skipped over. */
static int random_other(uap_victims *victims, int own, int n)
{
    const int r = random_below(victims, n - 1);
    return r < own ? r : r + 1;
}

static int near_rank(uap_victims *victims)
{
    const uap_transport *net = victims->net;
    for (;;) {
        const int r = net->near_ranks[random_below(victims, net->n_near)];
        if (r != net->rank) {
            return r;
        }
    }
}

static int far_rank(uap_victims *victims)
{
    const uap_transport *net = victims->net;
    if (next_random(victims) & 1) {
        return random_other(victims, net->rank, net->size);
    }
    /* A random octave of distances, then a random distance in it: density 1 / distance. */
    const int octave = 1 << random_below(victims, log2_floor(net->size));
    int distance = octave + random_below(victims, octave);
    distance = distance < net->size ? distance : net->size - 1;
    return (net->rank + ((next_random(victims) & 1) ? distance : net->size - distance)) %
           net->size;
}

int uap_victims_next(uap_victims *victims)
{
    if (victims->last_giver >= 0) {
        const int giver = victims->last_giver;
        victims->last_giver = -1;
        return giver;
    }
    return victims->tries++ < victims->near_tries ? near_rank(victims)
                                                  : far_rank(victims);
}

bool uap_victims_round_over(uap_victims *victims)
{
    if (victims->tries < victims->round) {
        return false;
    }
    victims->tries = 0;
    return true;
}

void uap_victims_gave(uap_victims *victims, int rank)
{
    victims->last_giver = rank;
    victims->tries = 0;
}
