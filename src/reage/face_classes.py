"""The classes of pixels around a face that the face parser tells apart."""

CLASSES = ("background", "skin", "hair", "facial_hair", "eyes", "mouth", "glasses", "hat", "clothes", "other")
"""Names of the classes: lips, ears and neck are skin; beard, moustache and brows are facial hair; mouth is the inside
of an open one with teeth and tongue; glasses are frames, and lenses that hide the eyes; hat is anything worn on the
head; other is whatever is in front of the person: hands, masks, microphones, headphones, other people."""
