# Copyright 2026 The superpoint_ros developers
# SPDX-License-Identifier: Apache-2.0

"""
A camera in a separate process: it publishes the frames that its standard input orders.

Each line is a JSON object with the topic, the fields of the image (`data` in base 64), how often
and how fast to publish it, and the stamp of the first; the stamps count milliseconds. Each line is
answered by a line when its frames are out.
"""

from array import array
import base64
import json
import sys
import time

import rclpy
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

WAIT = 20.0


def wait_for_listener(publisher):
    """Wait for a subscriber, which takes from 0.06 to about 3 seconds."""
    end = time.monotonic() + WAIT
    while publisher.get_subscription_count() < 1:
        if time.monotonic() > end:
            raise TimeoutError(f'{publisher.topic_name} has no subscriber')
        time.sleep(0.02)


def publish(publisher, order):
    """Publish the image of an order as often as ordered, with different stamps."""
    data = array('B')
    data.frombytes(base64.b64decode(order['data']))
    fields = {**order['fields'], 'data': data}
    for index in range(order['count']):
        message = Image(**fields)
        message.header.frame_id = order['frame_id']
        milliseconds = order['first_stamp'] + index
        message.header.stamp.sec = milliseconds // 1000
        message.header.stamp.nanosec = milliseconds % 1000 * 1_000_000
        publisher.publish(message)
        time.sleep(order['period'])


def main():
    """Publish until the input ends."""
    rclpy.init()
    node = rclpy.create_node('camera')
    qos = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.RELIABLE)
    publishers = {}
    for line in sys.stdin:
        order = json.loads(line)
        topic = order['topic']
        if order.get('text'):
            node.create_publisher(String, topic, qos)
        else:
            if topic not in publishers:
                publishers[topic] = node.create_publisher(Image, topic, qos)
                wait_for_listener(publishers[topic])
            publish(publishers[topic], order)
        sys.stdout.write('done\n')
        sys.stdout.flush()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
