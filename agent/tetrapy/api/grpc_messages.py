# SPDX-License-Identifier: Apache-2.0
"""Messages of gRPC's own services, health and reflection, and of protobuf's descriptors."""

from __future__ import annotations

from typing import Dict

from tetrapy.api.rows import Rows, messages_of

HEALTH: Dict[str, Rows] = messages_of("""
HealthCheckRequest:
    1 service string

HealthCheckResponse:
    1 status HealthCheckResponse.ServingStatus
""")

HEALTH_ENUMS: Dict[str, Dict[str, int]] = {
    "HealthCheckResponse.ServingStatus": {
        "UNKNOWN": 0,
        "SERVING": 1,
        "NOT_SERVING": 2,
        "SERVICE_UNKNOWN": 3,
    },
}

REFLECTION: Dict[str, Rows] = messages_of("""
ServerReflectionRequest:
    1 host string
    3 file_by_filename one string
    4 file_containing_symbol one string
    5 file_containing_extension one ExtensionRequest
    6 all_extension_numbers_of_type one string
    7 list_services one string

ExtensionRequest:
    1 containing_type string
    2 extension_number int32

ServerReflectionResponse:
    1 valid_host string
    2 original_request ServerReflectionRequest
    4 file_descriptor_response one FileDescriptorResponse
    5 all_extension_numbers_response one ExtensionNumberResponse
    6 list_services_response one ListServiceResponse
    7 error_response one ErrorResponse

FileDescriptorResponse:
    1 file_descriptor_proto [bytes]

ExtensionNumberResponse:
    1 base_type_name string
    2 extension_number [int32]

ListServiceResponse:
    1 service [ServiceResponse]

ServiceResponse:
    1 name string

ErrorResponse:
    1 error_code int32
    2 error_message string
""")

DESCRIPTORS: Dict[str, Rows] = messages_of("""
FileDescriptorProto:
    1 name string
    2 package string
    3 dependency [string]
    4 message_type [DescriptorProto]
    5 enum_type [EnumDescriptorProto]
    6 service [ServiceDescriptorProto]
    12 syntax string

DescriptorProto:
    1 name string
    2 field [FieldDescriptorProto]
    3 nested_type [DescriptorProto]
    4 enum_type [EnumDescriptorProto]
    7 options MessageOptions
    8 oneof_decl [OneofDescriptorProto]

MessageOptions:
    7 map_entry bool

OneofDescriptorProto:
    1 name string

FieldDescriptorProto:
    1 name string
    3 number int32
    4 label int32
    5 type int32
    6 type_name string
    9 oneof_index optional int32
    10 json_name string
    17 proto3_optional bool

EnumDescriptorProto:
    1 name string
    2 value [EnumValueDescriptorProto]

EnumValueDescriptorProto:
    1 name string
    2 number optional int32

ServiceDescriptorProto:
    1 name string
    2 method [MethodDescriptorProto]

MethodDescriptorProto:
    1 name string
    2 input_type string
    3 output_type string
    5 client_streaming bool
    6 server_streaming bool
""")
