# The compute backends: uap_device (links OpenBLAS, and nothing of MPI, CBC or Jansson) and
# uniap_cuda, which it loads at run time. Needs a target uap_common and the source directory
# of profile/ in UAP_PROFILE_DIR.
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)

# UNIAP_CUDA: AUTO builds the backend where nvcc is found, ON insists on it, OFF leaves it.
set(with_cuda OFF)
if(UNIAP_SANITIZE AND NOT UNIAP_CUDA STREQUAL "ON")
    message(STATUS "CUDA backend: no (sanitizers)")
elseif(NOT UNIAP_CUDA STREQUAL "OFF")
    if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
        find_program(UNIAP_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH
            PATHS /usr/local/cuda /opt/cuda PATH_SUFFIXES bin)
        if(UNIAP_NVCC)
            set(CMAKE_CUDA_COMPILER ${UNIAP_NVCC} CACHE FILEPATH "CUDA compiler")
        endif()
    endif()
    # Ampere and Hopper, and PTX for what comes after.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;90-virtual")
    endif()
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        enable_language(CUDA)
        find_package(CUDAToolkit QUIET)
    endif()
    if(CMAKE_CUDA_COMPILER AND TARGET CUDA::cublas AND TARGET CUDA::cublasLt)
        set(with_cuda ON)
        message(STATUS "CUDA backend: yes (${CMAKE_CUDA_COMPILER_VERSION})")
    elseif(UNIAP_CUDA STREQUAL "ON")
        message(FATAL_ERROR "UNIAP_CUDA=ON, but no working nvcc with cuBLAS was found; "
            "set CMAKE_CUDA_COMPILER or UNIAP_CUDA=OFF")
    else()
        message(STATUS "CUDA backend: no (no working nvcc with cuBLAS)")
    endif()
endif()

add_library(uap_device STATIC ${UAP_PROFILE_DIR}/device.c ${UAP_PROFILE_DIR}/device_work.c
    ${UAP_PROFILE_DIR}/device_cpu.c ${UAP_PROFILE_DIR}/clocks_cpu.c)
# sched_getcpu
set_source_files_properties(${UAP_PROFILE_DIR}/device_cpu.c PROPERTIES
    COMPILE_DEFINITIONS _GNU_SOURCE)
target_link_libraries(uap_device PUBLIC uap_common PRIVATE PkgConfig::OPENBLAS m)
if(with_cuda)
    target_sources(uap_device PRIVATE ${UAP_PROFILE_DIR}/device_plugin.c)
    target_compile_definitions(uap_device
        PRIVATE UAP_CUDA_LIBRARY_DIR="${CMAKE_BINARY_DIR}")
    target_link_libraries(uap_device PRIVATE ${CMAKE_DL_LIBS})
    add_library(uniap_cuda MODULE ${UAP_PROFILE_DIR}/device_cuda.cu
        ${UAP_PROFILE_DIR}/device_matmul.cu ${UAP_PROFILE_DIR}/device_nccl.cu
        ${UAP_PROFILE_DIR}/device_work.c ${UAP_PROFILE_DIR}/clocks_gpu.c
        ${UAP_PROFILE_DIR}/../common/status.c)
    set_target_properties(uniap_cuda PROPERTIES CUDA_STANDARD 17
        POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
        CUDA_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    target_link_libraries(uniap_cuda PRIVATE CUDA::cudart CUDA::cublas CUDA::cublasLt
        ${CMAKE_DL_LIBS} m)
    add_dependencies(uap_device uniap_cuda)
else()
    target_sources(uap_device PRIVATE ${UAP_PROFILE_DIR}/device_none.c)
endif()
