# CMake reads this file as CMAKE_PROJECT_INCLUDE where ROS 2 comes from wheels; CMakeLists.txt does not depend on it.
#
# The wheels' <package>__rosidl_generator_py targets name include folders of the machine on which the wheels were built.
# CMake refuses a target whose include folders do not exist. The folders are not needed: the generated code gets the
# include folders of the Python that it is built for.
foreach(package
    action_msgs builtin_interfaces geometry_msgs sensor_msgs service_msgs std_msgs unique_identifier_msgs)
  find_package(${package} REQUIRED)
  set_target_properties(${package}::${package}__rosidl_generator_py PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "")
endforeach()
