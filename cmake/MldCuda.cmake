# The CUDA backend. mld_device_sources(TARGET FILES...) adds sources that call the drivers of
# engine/loops/drivers.h: nvcc compiles them in a build with CUDA, the host compiler otherwise. One set of flags
# again: what mld_build says to the host compiler is passed on to the host pass of nvcc.
if(MLD_CUDA STREQUAL "emulated")
  target_compile_definitions(mld_flags INTERFACE MLD_CUDA=1 MLD_CUDA_EMULATED=1 MLD_CUDA_F64=1)
  # The stand-ins for the toolkit's headers; kernels are host code then.
  target_include_directories(mld_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/tests/cuda_emulation>)
elseif(MLD_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${MLD_CUDA_ARCHS})
  endif()
  find_package(CUDAToolkit 12.8 REQUIRED)
  find_package(CUDNN REQUIRED)
  set(MLD_HAVE_CUDA ON)  # for the installed package's own look-up
  enable_language(CUDA)
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
  # One runtime in a process: each shared library with a static one would have its own.
  if(BUILD_SHARED_LIBS)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
    set(MLD_CUDART CUDA::cudart)
  else()
    set(MLD_CUDART CUDA::cudart_static)
  endif()
  set(CMAKE_CUDA_EXTENSIONS OFF)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  endif()
  target_compile_definitions(mld_flags INTERFACE MLD_CUDA=1 $<$<BOOL:${MLD_CUDA_F64}>:MLD_CUDA_F64=1>)

  string(REPLACE ";" "," host_options "${MLD_HOST_OPTIONS}")
  target_compile_options(mld_build INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:
    --expt-relaxed-constexpr -Xcompiler=${host_options},-Wno-restrict,-Wno-unknown-pragmas
    -diag-suppress=177  # "never referenced": what the host loops alone use is not seen by the device pass
    $<$<BOOL:${MLD_WERROR}>:-Werror=all-warnings>>)
endif()

function(mld_device_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  if(CMAKE_CUDA_COMPILER)
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA)
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -Xptxas=-warn-spills)
  endif()
endfunction()
