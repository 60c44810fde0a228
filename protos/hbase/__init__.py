"""Generated protobuf modules, one per ``.proto`` file next to them. Import the one needed: nothing is loaded here."""
