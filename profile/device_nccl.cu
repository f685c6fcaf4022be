/* Channels by NCCL, whose library is loaded when asked for first, with prototypes of our own (NCCL
 * user guide, "API"): one binary serves machines with and without it. */
#include "profile/device_cuda.cuh"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <vector>

namespace
{

const char *const library_name = "libnccl.so.2";

/* ncclDataType_t's float, ncclRedOp_t's sum, ncclResult_t's success and work in progress. */
const int nccl_float = 7, nccl_sum = 0, nccl_success = 0, nccl_in_progress = 7;

struct nccl {
    int (*get_version)(int *version);
    int (*get_unique_id)(uap_channel_id *id);
    int (*init_rank)(void **comm, int size, uap_channel_id id, int rank);
    int (*destroy)(void *comm);
    int (*get_async_error)(void *comm, int *result);
    const char *(*error_string)(int result);
    int (*all_reduce)(const void *, void *, size_t, int, int, void *, cudaStream_t);
    int (*reduce_scatter)(const void *, void *, size_t, int, int, void *, cudaStream_t);
    int (*all_gather)(const void *, void *, size_t, int, void *, cudaStream_t);
    int (*send)(const void *, size_t, int, int, void *, cudaStream_t);
    int (*recv)(void *, size_t, int, int, void *, cudaStream_t);
    int (*group_start)();
    int (*group_end)();
    char text[64]; /* name and version; "": not there */
};

struct nccl_channel {
    const cuda_device *device;
    uap_channel_place place;
    void *comm;
    cudaStream_t stream; /* of its own: it runs beside the device's work */
    float *send, *recv;
};

/* POSIX's way to make a function pointer of dlsym's result. */
template <typename F> bool find(void *library, const char *name, F *function)
{
    void *symbol = dlsym(library, name);
    std::memcpy(function, &symbol, sizeof symbol);
    return symbol != nullptr;
}

bool find_all(void *library, nccl *api)
{
    return find(library, "ncclGetVersion", &api->get_version) &&
           find(library, "ncclGetUniqueId", &api->get_unique_id) &&
           find(library, "ncclCommInitRank", &api->init_rank) &&
           find(library, "ncclCommDestroy", &api->destroy) &&
           find(library, "ncclCommGetAsyncError", &api->get_async_error) &&
           find(library, "ncclGetErrorString", &api->error_string) &&
           find(library, "ncclAllReduce", &api->all_reduce) &&
           find(library, "ncclReduceScatter", &api->reduce_scatter) &&
           find(library, "ncclAllGather", &api->all_gather) &&
           find(library, "ncclSend", &api->send) &&
           find(library, "ncclRecv", &api->recv) &&
           find(library, "ncclGroupStart", &api->group_start) &&
           find(library, "ncclGroupEnd", &api->group_end);
}

/* Never unloaded: NCCL keeps threads. text is "" where it is not there. */
const nccl &load()
{
    static nccl api;
    static bool was_tried;
    if (!was_tried) {
        int version = 0;
        was_tried = true;
        void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
        if (library != nullptr && find_all(library, &api) &&
            api.get_version(&version) == nccl_success) {
            (void)std::snprintf(api.text, sizeof api.text, "NCCL %d", version);
        }
    }
    return api;
}

uap_status check_nccl(int result, const char *call, int line, uap_err *err)
{
    return result == nccl_success ? UAP_OK
                                  : uap_fail(err, UAP_MPI, __FILE__, line, "%s: %s", call,
                                             load().error_string(result));
}

#define NC(err, call) check_nccl((call), #call, __LINE__, (err))

const char *channel_library(void *)
{
    return load().text;
}

uap_status channel_make_id(void *, uap_channel_id *out, uap_err *err)
{
    const nccl &api = load();
    return api.text[0] == '\0'
               ? UAP_FAIL(err, UNSUPPORTED, "%s is not there", library_name)
               : NC(err, api.get_unique_id(out));
}

void channel_close(void *inner)
{
    nccl_channel *channel = (nccl_channel *)inner;
    if (channel->comm != nullptr) {
        (void)load().destroy(channel->comm);
    }
    (void)cudaFree(channel->send);
    (void)cudaFree(channel->recv);
    if (channel->stream != nullptr) {
        (void)cudaStreamDestroy(channel->stream);
    }
    std::free(channel);
}

/* Fills with a random block, over and over: each copy doubles what is there. */
uap_status fill(float *at, size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    std::vector<float> block(n < 65536 ? n : 65536);
    size_t have = block.size();
    uap_fill_normal(block.data(), (int64_t)have);
    UAP_TRY(
        CU(err, cudaMemcpy(at, block.data(), have * sizeof *at, cudaMemcpyHostToDevice)));
    while (have < n) {
        const size_t part = n - have < have ? n - have : have;
        UAP_TRY(CU(
            err, cudaMemcpy(at + have, at, part * sizeof *at, cudaMemcpyDeviceToDevice)));
        have += part;
    }
done:
    return rc;
}

uap_status prepare(nccl_channel *channel, uap_err *err)
{
    const uap_channel_place *place = &channel->place;
    const size_t bytes = place->n_floats * sizeof(float);
    uap_status rc = UAP_OK;
    UAP_TRY(CU(err, cudaSetDevice(channel->device->number)));
    UAP_TRY(CU(err, cudaStreamCreateWithFlags(&channel->stream, cudaStreamNonBlocking)));
    UAP_TRY(CU(err, cudaMalloc((void **)&channel->send, bytes)));
    UAP_TRY(CU(err, cudaMalloc((void **)&channel->recv, bytes)));
    UAP_TRY(fill(channel->send, place->n_floats, err));
    UAP_TRY(CU(err, cudaMemset(channel->recv, 0, bytes)));
    UAP_TRY(CU(err, cudaDeviceSynchronize())); /* other streams do not wait for these */
done:
    return rc;
}

/* Also where this rank's part failed the others wait for it in NCCL: it takes part first. */
uap_status channel_open(void *inner, const uap_channel_place *place, void **out,
                        uap_err *err)
{
    nccl_channel *channel = (nccl_channel *)std::calloc(1, sizeof *channel);
    uap_status rc = UAP_OK;
    *out = nullptr;
    if (channel == nullptr) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a channel");
    }
    channel->device = (const cuda_device *)inner;
    channel->place = *place;
    UAP_TRY(CU(err, cudaSetDevice(channel->device->number)));
    UAP_TRY(
        NC(err, load().init_rank(&channel->comm, place->size, place->id, place->rank)));
    UAP_TRY(prepare(channel, err));
    *out = channel;
    channel = nullptr;
done:
    if (channel != nullptr) {
        channel_close(channel);
    }
    return rc;
}

/* Sends and receives as one: each may wait for the other otherwise. */
uap_status queue_exchange(const nccl_channel *c, const uap_channel_operation *o,
                          uap_err *err)
{
    const nccl &api = load();
    uap_status rc = UAP_OK;
    UAP_TRY(NC(err, api.group_start()));
    if (o->to >= 0) {
        UAP_TRY(NC(err, api.send(c->send, o->n, nccl_float, o->to, c->comm, c->stream)));
    }
    if (o->from >= 0) {
        UAP_TRY(
            NC(err, api.recv(c->recv, o->n, nccl_float, o->from, c->comm, c->stream)));
    }
    rc = NC(err, api.group_end());
done:
    return rc;
}

uap_status queue_all_to_all(const nccl_channel *c, size_t n, uap_err *err)
{
    const nccl &api = load();
    uap_status rc = UAP_OK;
    UAP_TRY(NC(err, api.group_start()));
    for (int32_t r = 0; r < c->place.size; r++) {
        const size_t at = (size_t)r * n;
        UAP_TRY(NC(err, api.send(c->send + at, n, nccl_float, r, c->comm, c->stream)));
        UAP_TRY(NC(err, api.recv(c->recv + at, n, nccl_float, r, c->comm, c->stream)));
    }
    rc = NC(err, api.group_end());
done:
    return rc;
}

uap_status channel_queue(void *inner, const uap_channel_operation *o, uap_err *err)
{
    const nccl_channel *c = (const nccl_channel *)inner;
    const nccl &api = load();
    const uap_status rc = CU(err, cudaSetDevice(c->device->number));
    if (rc != UAP_OK) {
        return rc;
    }
    switch (o->kind) {
    case UAP_CHANNEL_ALL_REDUCE:
        return NC(err, api.all_reduce(c->send, c->recv, o->n, nccl_float, nccl_sum,
                                      c->comm, c->stream));
    case UAP_CHANNEL_ALL_GATHER:
        return NC(err,
                  api.all_gather(c->send, c->recv, o->n, nccl_float, c->comm, c->stream));
    case UAP_CHANNEL_REDUCE_SCATTER:
        return NC(err, api.reduce_scatter(c->send, c->recv, o->n, nccl_float, nccl_sum,
                                          c->comm, c->stream));
    case UAP_CHANNEL_ALL_TO_ALL:
        return queue_all_to_all(c, o->n, err);
    case UAP_CHANNEL_EXCHANGE:
        break;
    }
    return queue_exchange(c, o, err);
}

uap_status channel_test(void *inner, bool *has_ended, uap_err *err)
{
    const nccl_channel *c = (const nccl_channel *)inner;
    int state = nccl_success;
    const cudaError_t done = cudaStreamQuery(c->stream);
    *has_ended = done == cudaSuccess;
    if (done != cudaSuccess && done != cudaErrorNotReady) {
        return check(done, "cudaStreamQuery", __LINE__, err);
    }
    /* An error of another rank, or of the network, shows here: the stream would never end. */
    const uap_status rc = NC(err, load().get_async_error(c->comm, &state));
    return rc != UAP_OK || state == nccl_in_progress ? rc : NC(err, state);
}

} // namespace

const uap_channel_table *uap_nccl_channels(void)
{
    static const uap_channel_table table = {channel_library, channel_make_id,
                                            channel_open,    channel_close,
                                            channel_queue,   channel_test};
    return &table;
}
